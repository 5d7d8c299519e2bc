-- Which hosts reported yesterday and not today?
SELECT DISTINCT host
FROM sockets
WHERE day = (SELECT max(day) - 1 FROM sockets)
    AND host NOT IN (SELECT host FROM sockets WHERE day = (SELECT max(day) FROM sockets))
ORDER BY host

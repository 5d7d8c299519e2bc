-- Which ports listen today and did not yesterday, on hosts that reported both days?
SELECT host, protocol, address, port, program
FROM sockets
WHERE day = (SELECT max(day) FROM sockets) AND is_listener
    AND host IN (SELECT host FROM sockets WHERE day = (SELECT max(day) - 1 FROM sockets))
EXCEPT DISTINCT
SELECT host, protocol, address, port, program
FROM sockets
WHERE day = (SELECT max(day) - 1 FROM sockets) AND is_listener
ORDER BY host, protocol, port, address, program

-- Which hosts expose Redis? What listens only inside of a container does not count.
SELECT host, address, program
FROM sockets
WHERE day = (SELECT max(day) FROM sockets) AND is_listener AND port = 6379
    AND exposure <> 'loopback' AND space_kind = 'host'
ORDER BY host, address, program

-- Which servers do not keep up: more than four fifths of the accept queue wait?
SELECT host, address, port, program, queue_used, queue_limit
FROM sockets
WHERE day = (SELECT max(day) FROM sockets) AND is_listener AND queue_limit > 0 AND queue_used * 5 > queue_limit * 4
ORDER BY host, port, address

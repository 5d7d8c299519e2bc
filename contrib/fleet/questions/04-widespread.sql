-- Which programs listen on more than 100 hosts, and can be reached from other hosts?
SELECT program, count(DISTINCT host) AS hosts
FROM sockets
WHERE day = (SELECT max(day) FROM sockets) AND is_listener AND exposure <> 'loopback' AND program <> ''
GROUP BY program
HAVING count(DISTINCT host) > 100
ORDER BY hosts DESC, program

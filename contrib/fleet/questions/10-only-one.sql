-- Which ports does only one host of a group have open to others, in groups of at least 20 hosts?
WITH reachable AS (
    SELECT DISTINCT host_group, host, protocol, port
    FROM sockets
    WHERE day = (SELECT max(day) FROM sockets) AND is_listener AND exposure <> 'loopback'
), groups AS (
    SELECT host_group, count(DISTINCT host) AS hosts
    FROM sockets
    WHERE day = (SELECT max(day) FROM sockets)
    GROUP BY host_group
)
SELECT min(reachable.host) AS host, reachable.host_group AS host_group, reachable.protocol AS protocol, reachable.port AS port
FROM reachable
JOIN groups ON groups.host_group = reachable.host_group
WHERE groups.hosts >= 20
GROUP BY reachable.host_group, reachable.protocol, reachable.port
HAVING count(*) = 1
ORDER BY host, protocol, port

-- Where does another user or program hold a port than on nearly all other hosts of the group?
WITH held AS (
    SELECT DISTINCT host_group, host, protocol, port, account, program
    FROM sockets
    WHERE day = (SELECT max(day) FROM sockets) AND is_listener
), counted AS (
    SELECT host_group, protocol, port, account, program, count(*) AS hosts
    FROM held
    GROUP BY host_group, protocol, port, account, program
), whole AS (
    SELECT host_group, protocol, port, count(DISTINCT host) AS hosts
    FROM held
    GROUP BY host_group, protocol, port
)
SELECT held.host AS host, held.protocol AS protocol, held.port AS port, held.account AS account, held.program AS program
FROM held
JOIN counted ON counted.host_group = held.host_group AND counted.protocol = held.protocol AND counted.port = held.port
    AND counted.account = held.account AND counted.program = held.program
JOIN whole ON whole.host_group = held.host_group AND whole.protocol = held.protocol AND whole.port = held.port
WHERE whole.hosts >= 10 AND counted.hosts * 10 <= whole.hosts
ORDER BY host, protocol, port, account, program

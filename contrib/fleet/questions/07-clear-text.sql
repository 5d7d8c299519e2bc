-- Which hosts offer protocols that send passwords in clear text to other hosts?
SELECT host, protocol, port, service, program
FROM sockets
WHERE day = (SELECT max(day) FROM sockets) AND is_listener AND exposure <> 'loopback' AND space_kind = 'host'
    AND ((protocol = 'tcp' AND port IN (21, 23, 79, 110, 143, 512, 513, 514)) OR (protocol = 'udp' AND port IN (69, 161)))
ORDER BY host, protocol, port, program

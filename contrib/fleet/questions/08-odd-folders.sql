-- Which programs listen that were started from a folder where everyone may write, or from a home folder?
SELECT host, program, account, port, exposure
FROM sockets
WHERE day = (SELECT max(day) FROM sockets) AND is_listener
    AND (program LIKE '/tmp/%' OR program LIKE '/var/tmp/%' OR program LIKE '/dev/shm/%' OR program LIKE '/home/%')
ORDER BY host, port, program

-- Where does one destination use more than a tenth of the 28,232 ephemeral ports that Linux has by default?
SELECT host, space_label, peer_address, peer_port, count(DISTINCT port) AS ports
FROM sockets
WHERE day = (SELECT max(day) FROM sockets) AND protocol = 'tcp' AND peer_port <> 0 AND port BETWEEN 32768 AND 60999
GROUP BY host, space, space_label, peer_address, peer_port
HAVING count(DISTINCT port) > 2823
ORDER BY ports DESC, host

-- The table of sockets for DuckDB, and how reports get into it. The reports are what `portscope -tua -o ndjson` wrote, one
-- file a host and day: FOLDER/DAY/HOST.ndjson.gz, where FOLDER is the variable `reports`:
--   SET VARIABLE reports = '/srv/portscope';
CREATE TABLE sockets (
    day DATE, captured_at TIMESTAMP, host VARCHAR, host_group VARCHAR,
    space UBIGINT, space_kind VARCHAR, space_label VARCHAR,
    protocol VARCHAR, family VARCHAR, state VARCHAR, is_listener BOOLEAN,
    address VARCHAR, port USMALLINT, peer_address VARCHAR, peer_port USMALLINT,
    category VARCHAR, service VARCHAR, exposure VARCHAR,
    queue_used UINTEGER, queue_limit UINTEGER,
    owner VARCHAR, pid UINTEGER, program VARCHAR, account VARCHAR, unit VARCHAR, container VARCHAR
);

INSERT INTO sockets
SELECT
    captured_at::DATE, captured_at, host, regexp_replace(host, '-?[0-9]+$', ''),
    space, space_kind, space_label,
    protocol, family, coalesce(state, ''), coalesce(state, '') = 'LISTEN' OR (protocol = 'udp' AND peer IS NULL AND autobound IS NOT TRUE),
    local.address, local.port, coalesce(peer.address, ''), coalesce(peer.port, 0),
    category, coalesce(service.name, ''), exposure,
    coalesce(queue.used, 0), coalesce(queue.limit, 0),
    owner.tier, coalesce(owner.processes[1].pid, 0), coalesce(owner.processes[1].exe, owner.processes[1].name, ''),
    coalesce("user", ''), coalesce(owner.unit, ''), coalesce(owner.container.name, '')
FROM read_json(getvariable('reports') || '/*/*.ndjson.gz', format = 'newline_delimited', columns = {
    captured_at: 'TIMESTAMP', host: 'VARCHAR', space: 'UBIGINT', space_kind: 'VARCHAR', space_label: 'VARCHAR',
    protocol: 'VARCHAR', family: 'VARCHAR', state: 'VARCHAR', autobound: 'BOOLEAN',
    local: 'STRUCT(address VARCHAR, port USMALLINT)', peer: 'STRUCT(address VARCHAR, port USMALLINT)',
    category: 'VARCHAR', service: 'STRUCT("name" VARCHAR)', exposure: 'VARCHAR',
    queue: 'STRUCT(used UINTEGER, "limit" UINTEGER)', "user": 'VARCHAR',
    owner: 'STRUCT(tier VARCHAR, processes STRUCT(pid UINTEGER, "name" VARCHAR, exe VARCHAR)[], unit VARCHAR, container STRUCT("name" VARCHAR))'
});

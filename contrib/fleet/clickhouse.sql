-- The table of sockets for ClickHouse, and how reports get into it. The reports are what `portscope -tua -o ndjson` wrote,
-- one file a host and day: FOLDER/DAY/HOST.ndjson.gz, where FOLDER is the parameter `reports`; for object storage,
-- use s3(…) instead of file(…).
CREATE TABLE sockets (
    day Date, captured_at DateTime, host LowCardinality(String), host_group LowCardinality(String),
    space UInt64, space_kind LowCardinality(String), space_label LowCardinality(String),
    protocol LowCardinality(String), family LowCardinality(String), state LowCardinality(String), is_listener Bool,
    address String, port UInt16, peer_address String, peer_port UInt16,
    category LowCardinality(String), service LowCardinality(String), exposure LowCardinality(String),
    queue_used UInt32, queue_limit UInt32,
    owner LowCardinality(String), pid UInt32, program LowCardinality(String), account LowCardinality(String),
    unit LowCardinality(String), container LowCardinality(String)
) ENGINE = MergeTree PARTITION BY day ORDER BY (port, host_group, host);

INSERT INTO sockets
SELECT
    toDate(captured_at), captured_at, host, replaceRegexpOne(host, '-?[0-9]+$', ''),
    space, space_kind, space_label,
    protocol, family, state, state = 'LISTEN' OR (protocol = 'udp' AND peer.port = 0 AND NOT autobound),
    local.address, local.port, peer.address, peer.port,
    category, service.name, exposure,
    queue.used, queue.limit,
    owner.tier, owner.processes.pid[1], if(empty(owner.processes.exe[1]), owner.processes.name[1], owner.processes.exe[1]),
    user, owner.unit, owner.container.name
FROM file({reports:String}, 'JSONEachRow', '
    captured_at DateTime, host String, space UInt64, space_kind String, space_label String,
    protocol String, family String, state String, autobound Bool,
    local Tuple(address String, port UInt16), peer Tuple(address String, port UInt16),
    category String, service Tuple(name String), exposure String,
    queue Tuple(used UInt32, limit UInt32), user String,
    owner Tuple(tier String, processes Nested(pid UInt32, name String, exe String), unit String, container Tuple(name String))')
SETTINGS input_format_skip_unknown_fields = 1, input_format_null_as_default = 1, date_time_input_format = 'best_effort',
    input_format_import_nested_json = 1, input_format_json_ignore_unknown_keys_in_named_tuple = 1,
    input_format_json_defaults_for_missing_elements_in_named_tuple = 1;

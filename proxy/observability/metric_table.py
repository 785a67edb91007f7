"""Metric table: kind, name, labels and description of every metric."""

TABLE = """
counter requests_total{route,method,status,cache}
    Requests answered; `cache` is `hit`, `stale`, `collapsed`, `miss`, `pass` or `none`.
histogram request_duration_seconds{cache}
    Time from the end of the request's header section to the response.

counter upstream_requests_total{route,method,status}
    Requests to Trello; `status` is a number, or the problem type of a failure.
histogram upstream_duration_seconds
    Time from sending a request to Trello to the header section of its response.
counter upstream_bytes_total{direction}
    Body bytes exchanged with Trello: `received`, `sent`.
counter retries_total
    Requests to Trello that were sent again.
gauge circuit_breakers{state}
    Circuit breakers that are `closed`, `half-open` or `open`: one for connections, one per route.
gauge upstream_circuit_open
    1 while no connection to Trello is attempted, otherwise 0.
gauge upstream_last_success_age_seconds
    Time since Trello last sent a response that is not a failure.
gauge token_refused
    1 while Trello does not accept the stored token, otherwise 0.
gauge token_expires_seconds
    Time until the stored token expires; absent when it never does or the date is not known.

histogram rate_limit_wait_seconds{priority}
    Time until Trello's limits allowed a request to be sent, for each one sent; `priority` is
    `interactive`, `poller`, `api`, `background` or `prefetch`.
gauge rate_limit_queue_length{priority}
    Requests waiting for Trello's limits.
gauge rate_limit_queue_oldest_seconds
    How long the oldest request in the queue has waited.
counter rate_limit_rejected_total{priority}
    Requests answered 429 by the proxy: they would have waited longer than `limits.wait`.
gauge rate_limit_remaining{limit}
    Requests left for clients with the stored token: `key`, `token`, `members`, `search`.
counter upstream_throttled_total{limit}
    Responses 429 from Trello, by the limit that they name; there should be none.

counter not_stored_total{reason}
    Responses that were not stored.
counter invalidations_total{cause}
    Invalidations: by a `write`, a `purge`, the board `poll`, a `webhook`, a `verification` that
    found a stale hit, or a `clock` that was set back.
counter hit_verifications_total{result}
    Hits compared with Trello's response: `match`, `mismatch`, `raced` with an invalidation, or
    `failed`.
gauge stale_served_ratio
    Share of `mismatch` in `match` and `mismatch`; NaN before the first.
counter stale_served_seconds_total
    Sum of the times for which the `mismatch` hits had been stored: none was stale for longer.
gauge aliases
    Names and owners of objects remembered from responses; 50 000 at most.
gauge store_bytes{tier}
    Size of the stored responses, in `memory` and on `disk` or in `redis`.
gauge store_limit_bytes{tier}
    Largest size of each tier.
gauge store_responses{tier}
    Stored responses in `memory`.
counter store_evictions_total{tier}
    Stored responses evicted for space.
counter store_errors_total
    Failures of the store on disk or in Redis; each was a miss, never an error to a client.
counter store_dropped_total
    Responses stored in memory only, because the disk or Redis was slow, full or failing.
gauge store_up
    1 while the store works, 0 while its tier on disk or in Redis fails.
gauge redis_up
    1 while Redis replies, otherwise 0. This and the next three exist with `cache.backend: redis`.
histogram redis_seconds
    Time from sending a command to Redis to its reply.
counter redis_errors_total
    Commands to Redis that failed or took too long; each was a miss, never an error to a client.
counter redis_reasserts_total
    Times that Redis had lost data (a restart, a flush, a fail-over, an eviction), and what it must
    hold was written again from memory.

gauge fleet_leader
    1 while this node leads. This and the next thirteen exist with `fleet.listen`; those of relays,
    waits for followers and near caches also with `workers` above 1.
gauge fleet_members
    Nodes of the fleet that this one knows, itself included.
gauge fleet_sessions
    Followers with a session, at the leader.
gauge fleet_apart
    1 while this node reaches no leader and serves reads by itself.
gauge fleet_behind
    1 while Redis may lack something that the leader has acknowledged.
counter fleet_takeovers_total
    Terms that this node has led.
counter fleet_relays_total{result}
    Requests relayed to the leader, or by workers to their parent: `ok`, `shared` (with an equal one
    that waited), `moved` (that node does not lead any more), `unreachable`, `lost`, `cancelled` by
    the client, or `failed`.
histogram fleet_relay_seconds
    Time from relaying a request to the leader's response; of a body above 256 KiB, to its start.
histogram fleet_barrier_seconds
    How long a write, a purge or a webhook delivery waited, at the leader, until no follower served
    what it had invalidated.
counter fleet_expired_total
    Followers, at the leader, that acknowledged no invalidation for a second: writes wait until
    their trust is over, 3 s.
gauge fleet_trust_seconds
    For how long this node, as a follower, may use its near cache without another reply of the
    leader; 0 while it may not.
gauge near_bytes
    Bytes in the near cache of a follower, or in those of all workers.
gauge near_responses
    Responses in it.
counter near_evictions_total
    Responses evicted from it.

gauge workers
    Processes that accept clients' connections; below the configured number while one starts. This
    and the next three exist with `workers` above 1.
counter worker_restarts_total
    Workers that ended, or hung and were killed, and were started again.
counter worker_cpu_seconds_total{worker}
    CPU time of each worker, of all processes that it has been.
gauge worker_resident_bytes{worker}
    Resident memory of each worker.

gauge attachments
    Attachments and previews stored on disk.
gauge attachment_store_bytes
    Size of the stored attachments.
gauge attachment_store_limit_bytes
    Largest size of the stored attachments.
counter attachment_evictions_total
    Attachments evicted for space.
counter attachment_downloads_total{result}
    Downloads into the store: `stored`, `failed`, `too-large`, `insufficient-space`.
counter attachment_bytes_total{source}
    Bytes of attachments read from `disk`, from `trello` and from another `node` of a fleet.
counter attachment_checksum_failures_total
    Stored attachments whose bytes had changed on disk; each is downloaded again.
gauge attachment_store_up
    1 while attachments can be stored, otherwise 0.

gauge board_poll_lag_seconds
    Time since the last successful poll of all boards was sent; 0 while the poller is idle or off.
gauge boards_watched
    Boards whose changes are noticed by polling; 0 while the poller is late.
counter board_polls_total{result}
    Polls of all boards: `good`, `failed` (no response), `refused` (not 200), `unusable` (no list of
    boards).
counter board_changes_total
    Changes of boards found by polling.
counter webhook_deliveries_total{result}
    Webhook deliveries: `accepted`, `duplicate`, `echo` (of a write through the proxy),
    `invalid-signature`, `malformed` (signed but not understood: everything is marked stale).
gauge webhooks
    Active webhooks of the proxy at Trello, as far as is known.
counter webhooks_missed_total
    Changes of boards with a webhook for which no delivery came.

gauge connections
    Open client connections.
gauge connections_limit
    Largest number of client connections.
counter connections_closed_total{reason}
    Connections closed by the proxy: `idle` to make room, `header` (incomplete or endless), `slow`
    (the client read nothing), `memory` (`limits.memory` was used up), `tls` (the handshake failed).
gauge tls_certificate_expires_seconds
    Time until the certificate of `tls` expires, negative since then; absent without one.
gauge client_memory_bytes{use}
    Memory held for clients: `requests`, `responses`, and `buffers` of connections.
gauge client_memory_limit_bytes
    Largest size of the memory held for clients: `limits.memory`.
counter errors_total{type}
    Error responses made by the proxy, by problem type.
counter responses_redacted_total
    Responses from Trello in which a stored credential was masked.
counter client_credentials_total{client,location,owner}
    Requests with a key or token in the `query`, `body`, `header` or `path`; `owner` is `own`,
    `foreign` or `unknown`.
counter client_requests_total{client}
    API requests by client: its name, else the product in its User-Agent, unless it could be an id.
    250 at most, `other` among them; a new client replaces one without a request for an hour.
counter client_upstream_requests_total{client}
    Requests to Trello by the client that caused them; `trello-proxy` for the proxy's own.
gauge client_key_last_used_timestamp_seconds{client,key}
    When each client key was last used; absent if it was not used since the start. `key` is the
    beginning of its digest.
counter client_api_requests_total
    API requests of all clients: what Trello would receive without the proxy.
counter client_api_requests_throttled_without_proxy_total
    Those of them over 100 in 10 s, which Trello would have answered 429.

gauge info{version}
    The version of the proxy; always 1.
"""

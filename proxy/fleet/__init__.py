"""Fleet: several nodes, of which one, the leader, decides; elected by a lease in Redis (D65, D67).

`node.py` is the interface for everything above: which node leads, whether this one does, and to
wait for a leader. `protocol.py` has the messages between nodes, `channel.py` the transport they
need. Followers store nothing and relay every request to the leader.
"""

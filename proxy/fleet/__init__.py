"""Fleet: several nodes, of which one, the leader, decides; elected by a lease in Redis (D65, D67).

`node.py` is the interface for everything above: which node leads, whether this one does, and to
wait for a leader. `protocol.py` has the messages between nodes, `channel.py` the transport they
need. Followers relay to the leader what they cannot serve from their near cache (`near.py`, D72);
`barrier.py` has the leader wait until they serve nothing that was invalidated.
"""

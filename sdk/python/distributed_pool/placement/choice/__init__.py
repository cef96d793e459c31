"""The choice of a member, by what one client knows of the loads and the health of each."""

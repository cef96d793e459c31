"""HTTP to members: requests, events, and streams that resume."""

"""The lowest floor: what is written. Messages, headers, URIs, framing on streams, digests, flows. Keeps no state."""

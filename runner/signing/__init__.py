"""Ed25519 keys, signatures of bundles and of what runs leave."""

{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "KElyq7LbVkiPzWUPJq9bQduJ+SJQzFDFoUP3hSH0A/+xAHV5CNQ7fLLgw0yb+6tijzKVYfx/lM87Rl0cqYCRDg=="
}
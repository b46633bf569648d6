{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "4ZoBtWSm35w6GitRyVbhtT6Fwz/7jNVCkP8syFB+Fj0TXj14bU+giuUZdRDMsoJxmEDvnhkxasNweAw8uIHQAg=="
}
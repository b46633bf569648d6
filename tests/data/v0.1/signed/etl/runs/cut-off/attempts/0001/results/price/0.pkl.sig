{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "j8jRTC0ThtKGwOiA53PDzPz0OFvrT65g0jkIfnTWIG4oDgRL1vLvWI0Pt6/LABJ0XaM4Pailp6+/Kpzc3C5LBw=="
}
{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "07fhbm6aKq6oHDnAh8oWdNpTa28qaUrFbZjwYlSMIBUhEu96mrDuO1bo2H+nwplEQ2gnrZoyhqw4edEMyrnJAQ=="
}
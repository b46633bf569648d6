{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "V+ZcAYojoNVYUxm4g13jtLjgi4BejXO2HgLBA9w7eEcW7c0QZ+Bzw1sMbDt7zlmWsvX5+bG5XVAZDeIFryS7Ag=="
}
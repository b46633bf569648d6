{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "gF4BNSxYQuDDDzcewZLT1mtncx8Ku3iYJNUxHSzW45Ea/mdYdWFxzFBzyEoZjsGrBqg/te8Xy9eCsHhHzNUaAw=="
}
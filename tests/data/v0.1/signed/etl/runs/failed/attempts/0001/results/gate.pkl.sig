{
 "format": 1,
 "algorithm": "ed25519",
 "key": "f9a19bb73fdda781",
 "signature": "axrzRUi4rHBzGFu1Xf/rTIUc0VJ4J/72EkLL8E2Wg/xMrxmnAjCahOjx/RuXshv9XtE1N8D+DQfkp7YoXKaaBA=="
}
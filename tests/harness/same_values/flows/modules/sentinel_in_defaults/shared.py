MISSING = object()


class Settings:
    number = 1


settings = Settings()

class Settings:
    mode = "none"


SETTINGS = Settings()


def current():
    return SETTINGS

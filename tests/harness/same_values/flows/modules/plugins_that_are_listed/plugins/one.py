import settings

VALUE = settings.ONE

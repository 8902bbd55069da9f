"""The web application: one folder per capability over two libraries, ``dispatch`` and ``telematics``."""

"""One third-party library per file, each giving back the values of the core. They do not import each other."""

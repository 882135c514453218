"""One third-party library per folder or file, giving back the values of the core. They do not import each other."""

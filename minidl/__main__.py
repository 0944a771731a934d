"""``python -m minidl`` is ``minidl``."""

from minidl.cli.main import main

if __name__ == "__main__":
    main()

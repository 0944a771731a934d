"""``python -m minidl`` is the command line."""

from minidl.cli.main import main

if __name__ == "__main__":
    main()

"""The command line: receives arguments, returns an exit code; one file a command.

Results go to stdout, progress and logs to stderr. Nothing heavy is imported before a command
runs, so that ``minidl --help`` is quick.
"""

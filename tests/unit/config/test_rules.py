

def test_an_unprintable_key_is_an_error_like_any_other(folder: Folder) -> None:
    """A key with a tab in it is refused with its place, not by an exception of the validator."""
    folder.write("dev.yaml", '"agents\\tagents": agents\n')
    with pytest.raises(ConfigError, match="is not a setting"):
        folder.load()

"""Networks from recordings and pictures: ``galago train RECIPE``, whose key ``role`` says what is trained.

    toml_tables   recipes: TOML into frozen dataclasses, errors with their place
    checkpoints   written aside and renamed; read without running what they hold
    sources       recordings and photos from tars, JSONL manifests and folders
    plots         curves as a picture
    command       the command line that every role shares
    ear           a Conformer that hears phones and letters

Everything here may load torch, so a program imports the module that it means.
"""

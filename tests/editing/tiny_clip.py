"""A CLIP of a few thousand weights in a folder of its own, for tests: real classes, random weights."""

import json

import torch

SIDE = 32


def write_tiny_clip(folder, seed=0):
    """Write model, tokenizer and preprocessor files; returns the folder."""
    from transformers import CLIPConfig, CLIPModel

    folder.mkdir(parents=True, exist_ok=True)
    characters = [chr(number) for number in range(33, 127)]
    tokens = [*characters, *(f"{c}</w>" for c in characters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    special = dict(bos_token="<|startoftext|>", eos_token="<|endoftext|>", unk_token="<|endoftext|>",
                   pad_token="<|endoftext|>", model_max_length=77)  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer", **special}))
    (folder / "preprocessor_config.json").write_text(json.dumps({
        "image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28], "crop_size": SIDE,
        "size": {"shortest_edge": SIDE}, "image_processor_type": "CLIPImageProcessor",
    }))  # fmt: skip
    sizes = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)
    end = vocabulary["<|endoftext|>"]
    config = CLIPConfig(
        text_config=dict(vocab_size=len(tokens), max_position_embeddings=77, bos_token_id=end - 1, eos_token_id=end,
                         pad_token_id=end, **sizes),
        vision_config=dict(image_size=SIDE, patch_size=8, **sizes), projection_dim=24,
    )  # fmt: skip
    torch.manual_seed(seed)
    CLIPModel(config).save_pretrained(folder)
    return folder

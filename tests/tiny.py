"""Models of a few thousand parameters with a real tokenizer, and data that they can learn: for any test."""

from __future__ import annotations

import random
from pathlib import Path

import pandas as pd
import pytest

GOOD = ("great", "lovely", "wonderful", "superb", "charming", "moving")
BAD = ("awful", "boring", "terrible", "dull", "clumsy", "weak")
THINGS = ("film", "story", "cast", "score", "ending", "script", "camera", "dialogue")
FILLERS = ("a", "really", "quite", "the", "and", "so", "with", "its", "own", "slow", "long", "new")


def sentences(rows: int, seed: int = 0) -> pd.DataFrame:
    """Columns `text` (3 to 24 words) and `label`."""
    generator = random.Random(seed)
    table = []
    for i in range(rows):
        label, words = (("positive", GOOD), ("negative", BAD))[i % 2]
        # Every other word or so gives the label away: a random model has to see it within a hundred rows.
        text = [generator.choice(words if j % 2 else FILLERS + THINGS) for j in range(generator.randint(3, 24))]
        table.append((" ".join(text), label))
    generator.shuffle(table)
    return pd.DataFrame(table, columns=["text", "label"])


def save_tokenizer(folder: Path):
    """A WordPiece tokenizer, trained on the sentences above, saved to `folder`."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=200, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(sentences(400)["text"], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True))
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names)
    fast.save_pretrained(folder)
    return fast


def configs(dropout: float = 0.1) -> dict:
    """The configs of tiny models of many kinds, by name; three blocks each, ALBERT's being one and the same."""
    import transformers as t

    size = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
    drop = {"hidden_dropout_prob": dropout, "attention_probs_dropout_prob": dropout}
    common = {"vocab_size": 200, "max_position_embeddings": 66, "pad_token_id": 0} | size
    relative = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 16}
    return {
        "bert": t.BertConfig(**common, **drop),
        "roberta": t.RobertaConfig(**common, **drop),
        "distilbert": t.DistilBertConfig(
            vocab_size=200, max_position_embeddings=66, dim=16, n_layers=3, n_heads=2, hidden_dim=32, pad_token_id=0,
            dropout=dropout, attention_dropout=dropout, seq_classif_dropout=dropout,
        ),
        "electra": t.ElectraConfig(**common, **drop, embedding_size=8),
        "albert": t.AlbertConfig(**common, **drop, embedding_size=8),
        "mpnet": t.MPNetConfig(**common, **drop),
        "deberta-v2": t.DebertaV2Config(
            **common, **drop, **relative, norm_rel_ebd="layer_norm", share_att_key=True, position_biased_input=False
        ),
        "modernbert": t.ModernBertConfig(
            **common, bos_token_id=2, eos_token_id=3, cls_token_id=2, sep_token_id=3,
            attention_dropout=dropout, mlp_dropout=dropout, embedding_dropout=dropout, classifier_dropout=dropout,
        ),
        "gpt2": t.GPT2Config(
            vocab_size=200, n_positions=66, n_embd=16, n_layer=3, n_head=2, pad_token_id=0, bos_token_id=2,
            eos_token_id=3, embd_pdrop=dropout, attn_pdrop=dropout, resid_pdrop=dropout,
        ),
    }  # fmt: skip


def more_configs(dropout: float = 0.1) -> dict:
    """More of them: another decoder, and two that have an encoder and a decoder; [SEP] ends their texts."""
    import transformers as t

    return {
        "llama": t.LlamaConfig(
            vocab_size=200, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32,
            max_position_embeddings=66, pad_token_id=0, bos_token_id=2, eos_token_id=3, attention_dropout=dropout,
        ),
        "t5": t.T5Config(
            vocab_size=200, d_model=16, d_kv=8, d_ff=32, num_layers=3, num_heads=2, pad_token_id=0, eos_token_id=3,
            decoder_start_token_id=0, dropout_rate=dropout, classifier_dropout=dropout,
        ),
        "bart": t.BartConfig(
            vocab_size=200, d_model=16, encoder_layers=3, decoder_layers=3, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_position_embeddings=66,
            pad_token_id=0, bos_token_id=2, eos_token_id=3, decoder_start_token_id=3, forced_eos_token_id=3,
            dropout=dropout, attention_dropout=dropout, classifier_dropout=dropout,
        ),
    }  # fmt: skip


def save_model(folder: Path, config, seed: int = 0) -> Path:
    """A base model with random weights as safetensors, and the tokenizer, in `folder`."""
    import torch
    from transformers import AutoModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        AutoModel.from_config(config).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder for each of `configs()`."""
    root = tmp_path_factory.mktemp("models")
    return {name: save_model(root / name, config) for name, config in configs().items()}


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a BERT with four blocks of width 32; it learns `tiny_data` within a few epochs."""
    from transformers import BertConfig

    config = BertConfig(
        vocab_size=200,
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.1,  # the default suits far wider layers: with it nothing is learnt for many steps
    )
    return save_model(tmp_path_factory.mktemp("tiny") / "tiny-bert", config)


@pytest.fixture(scope="session")
def tiny_data() -> pd.DataFrame:
    """200 rows with the columns `text` and `label`, half of them positive."""
    return sentences(200)


@pytest.fixture(scope="session")
def tiny_folder(tiny_data: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny data as train (120 rows), validation (40) and test (40) parquet."""
    folder = tmp_path_factory.mktemp("tiny-data")
    for part, rows in (("train", tiny_data[:120]), ("validation", tiny_data[120:160]), ("test", tiny_data[160:])):
        rows.reset_index(drop=True).to_parquet(folder / f"{part}.parquet")
    return folder


@pytest.fixture(scope="session")
def tiny_job(tiny_folder: Path):
    """A `Job` on the tiny data: rungs at 40 and 120 samples, one thread."""
    from autoft import tasks
    from autoft.records import Direction
    from autoft.training.job import Job

    meta = {"labels": ["negative", "positive"], "text": "text", "text_pair": None, "label": "label"}
    return Job(
        task=tasks.get("text-classification"),
        meta=meta,
        data=str(tiny_folder),
        metric="accuracy",
        direction=Direction.MAXIMIZE,
        rungs=(40, 120),
        patience=5,
        threads=1,
    )


def paused_at_every_step(job, config, folder):
    """A trial that has ended, written to `folder` and opened again after each of its steps."""
    from autoft.training.finetune import FineTune

    trial = FineTune(job, config)
    while not trial.ended:
        trial.advance(0.0)
        trial.save(folder)
        trial = FineTune(job, config)
        assert trial.restore(folder)
    return trial

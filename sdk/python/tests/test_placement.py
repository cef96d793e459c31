"""The choice of a member by the loads that a client knows."""

import random

from distributed_pool.consul.options import ConsulOptions
from distributed_pool.placement.choice.beliefs import Load, load_of
from distributed_pool.placement.choice.health import Outliers
from distributed_pool.placement.choice.known_loads import KnownLoads
from distributed_pool.placement.members import Member, member_of

MEMBERS = {name: Member(name, f"http://{name}", {"pipeline": 5}) for name in ("m1", "m2", "m3")}


def always(_):
    return True


def test_a_header_tells_a_load():
    assert load_of("active=3, max=8, queued=1, later=2") == Load(3, 8, 1)
    assert load_of("max=8") is None
    assert load_of(None) is None


def test_the_least_loaded_member_is_chosen():
    known = KnownLoads()
    known.note("m1", Load(4, 5), 0.0)
    known.note("m2", Load(1, 5), 0.0)
    known.note("m3", Load(5, 5), 0.0)
    member, load, is_busy = known.choose(MEMBERS, 0.01, always)
    assert (member.name, load, is_busy) == ("m2", Load(1, 5), False)


def test_requests_on_their_way_count():
    known = KnownLoads()
    for name in MEMBERS:
        known.note(name, Load(0, 5), 0.0)
    chosen = []
    for _ in range(15):
        member, _, _ = known.choose(MEMBERS, 0.0, always)
        known.sent(member.name, 0.0)
        chosen.append(member.name)
    assert {name: chosen.count(name) for name in MEMBERS} == {"m1": 5, "m2": 5, "m3": 5}
    assert known.choose(MEMBERS, 0.0, always) is None


def test_old_loads_are_worth_a_question_for_a_while():
    known = KnownLoads()
    known.note("m1", Load(0, 5), 0.0)
    assert known.choose(MEMBERS, 0.2, always) is None
    assert known.older(MEMBERS, 0.2, always).name == "m1"
    assert known.older(MEMBERS, 6.0, always) is None


def test_many_members_are_forgotten_again():
    known = KnownLoads()
    rng = random.Random(1)
    for index in range(3_000):
        known.note(f"m{index}", Load(rng.randrange(5), 5), 0.0)
    member, _, _ = known.choose({"m2999": Member("m2999", "http://x", {})}, 0.0, always) or (
        None,
        None,
        None,
    )
    assert member is None or member.name == "m2999"


def test_a_member_that_fails_is_left_out_for_a_while():
    now = [0.0]
    outliers = Outliers(lambda: now[0])
    for _ in range(3):
        assert outliers.may_try(MEMBERS["m1"])
        outliers.failed("m1")
    assert not outliers.may_try(MEMBERS["m1"])
    now[0] = 6.0
    assert outliers.may_try(MEMBERS["m1"])
    assert not outliers.may_try(MEMBERS["m1"])
    outliers.worked("m1")
    assert outliers.may_try(MEMBERS["m1"])


def test_an_entry_of_consul_is_a_member():
    meta = {"member": "m1", "maxChildren-pipeline": "5", "scheme": "https", "sandbox": "full"}
    entry = {
        "Node": {"Address": "10.0.0.1"},
        "Service": {"Address": "::1", "Port": 7400, "Meta": meta},
        "Checks": [{"Status": "passing"}, {"Status": "critical"}],
    }
    member = member_of(entry)
    assert (member.url, member.pools, member.passing) == (
        "https://[::1]:7400",
        {"pipeline": 5},
        False,
    )
    assert member_of({"Node": {}, "Service": {"Port": 1}, "Checks": []}) is None


def test_the_variables_of_consul_are_read(tmp_path):
    token = tmp_path / "token"
    token.write_text("secret\n")
    env = {"CONSUL_HTTP_ADDR": "c:1", "CONSUL_HTTP_SSL": "1", "CONSUL_HTTP_TOKEN_FILE": str(token)}
    options = ConsulOptions.from_env(env=env)
    assert (options.url, options.token) == ("https://c:1", "secret")

//! Calls a member by the client of openapi-generator's `rust`. Prints a line for each check.
use pool_client::apis::configuration::Configuration;
use pool_client::apis::pools_api::{call_in_pool, place_child_in_pool, run_in_pool, RunInPoolError};
use pool_client::apis::{children_api, Error, ResponseContent};
use pool_client::models::*;
use serde_json::{from_str, Value};
use std::fmt::Debug;

type Checked = Result<(), String>;

fn told(error: impl Debug) -> String {
    format!("{error:?}")
}

fn expect<T: PartialEq + Debug>(got: T, wanted: T) -> Checked {
    if got == wanted {
        return Ok(());
    }
    Err(format!("expected {wanted:?}; got {got:?}"))
}

fn command(argv: &[&str]) -> ChildSpec {
    let argv = argv.iter().map(|each| each.to_string()).collect();
    ChildSpec::CommandSpec(Box::new(CommandSpec::new(argv)))
}

async fn call(client: &Configuration) -> Checked {
    let mut source = FunctionBySource::new("(a, b) => a + b".to_string());
    source.args = Some(vec![1211.into(), 1.into()]);
    let work = FunctionWork::FunctionBySource(Box::new(source));
    let spec = ChildSpec::FunctionSpec(Box::new(FunctionSpec::new(work)));
    let function = run_in_pool(client, "pipeline", spec).await.map_err(told)?;
    expect(function.value, Some(Some(1212.into())))?;
    let result = run_in_pool(client, "pipeline", command(&["echo", "hi"])).await.map_err(told)?;
    expect(result.stdout.as_str(), "hi\n")?;
    expect(result.exit_code, Some(0))
}

async fn hold(client: &Configuration, pool: &str) -> Result<Child, String> {
    place_child_in_pool(client, pool, command(&["sleep", "60"])).await.map_err(told)
}

async fn stop(client: &Configuration, child: &Child) -> Result<Child, String> {
    children_api::stop_child(client, &child.id, None).await.map_err(told)
}

async fn place(client: &Configuration) -> Checked {
    let child = hold(client, "pipeline").await?;
    let got = children_api::get_child(client, &child.id).await.map_err(told)?;
    expect(got.status, ChildStatus::Running)?;
    expect(stop(client, &child).await?.id, child.id)
}

/// The code of the problem that a run is refused with.
async fn code_of(client: &Configuration, pool: &str, spec: ChildSpec) -> String {
    use RunInPoolError::{Status400, Status404, Status503};
    match run_in_pool(client, pool, spec).await {
        Err(Error::ResponseError(ResponseContent {
            entity: Some(Status400(problem) | Status404(problem) | Status503(problem)),
            ..
        })) => problem.code,
        other => format!("no problem but {other:?}"),
    }
}

async fn errors(client: &Configuration) -> Checked {
    let unknown = code_of(client, "nobody", command(&["true"])).await;
    expect(unknown.as_str(), "pool_not_found")?;
    let invalid = code_of(client, "pipeline", command(&[])).await;
    expect(invalid.as_str(), "invalid_request")?;
    let holder = hold(client, "single").await?;
    let full = code_of(client, "single", command(&["true"])).await;
    stop(client, &holder).await?;
    expect(full.as_str(), "all_members_at_capacity")
}

/// Decodes an event by the type that it names: `PoolEvent` cannot, because its tag takes the field
/// `type` that each of its variants requires (openapi-generator's issue 22344).
fn type_of(data: &str) -> Result<&'static str, String> {
    let value: Value = from_str(data).map_err(told)?;
    match value["type"].as_str() {
        Some("placed") => from_str::<PlacedEvent>(data).map(|_| "placed").map_err(told),
        Some("stdout") => from_str::<StdoutEvent>(data).map(|_| "stdout").map_err(told),
        Some("result") => from_str::<ResultEvent>(data).map(|_| "result").map_err(told),
        _ => Err(told(value)),
    }
}

async fn stream(client: &Configuration) -> Checked {
    let answer = call_in_pool(client, "pipeline", command(&["echo", "hi"])).await.map_err(told)?;
    let text = answer.text().await.map_err(told)?;
    let types = text.lines().filter_map(|line| line.strip_prefix("data: ")).map(type_of);
    expect(types.collect::<Result<Vec<_>, _>>()?, vec!["placed", "stdout", "result"])
}

fn print(name: &str, checked: Checked) {
    println!("{name}: {}", checked.err().unwrap_or("ok".to_string()));
}

#[tokio::main]
async fn main() {
    let base_path = std::env::var("POOL_URL").expect("POOL_URL");
    let client = Configuration { base_path, ..Configuration::new() };
    print("call", call(&client).await);
    print("place", place(&client).await);
    print("errors", errors(&client).await);
    print("stream", stream(&client).await);
}

# The original, written from its description: a `pg` group of DynamicSupervisors. A caller asks each
# of the group for its load, one after the other, and starts a child at the least loaded one.
#
# The members are on local nodes. A node stands for several machines where there are more members
# than nodes. Reads lines `MEMBERS CALLERS MS`, and answers each with one line of JSON.
defmodule Original do
  @nodes 20
  @sizes [1, 10, 100, 1000]
  @max_children 64

  def main do
    {:ok, _} = :pg.start_link()
    nodes = for index <- 1..@nodes, do: start_node(index)
    for size <- @sizes, index <- 0..(size - 1) do
      node = Enum.at(nodes, rem(index, @nodes))
      {:ok, _} = :erpc.call(node, __MODULE__, :start_member, [size])
    end
    for size <- @sizes, do: wait_for(size)
    IO.puts("ready")
    answer_lines()
  end

  defp start_node(index) do
    paths = Enum.flat_map(:code.get_path(), fn path -> [~c"-pa", path] end)
    cookie = Atom.to_charlist(:erlang.get_cookie())
    args = [~c"-setcookie", cookie, ~c"+sbwt", ~c"none", ~c"-kernel", ~c"prevent_overlapping_partitions", ~c"false" | paths]
    name = :"bench_member_#{System.pid()}_#{index}"
    {:ok, _, node} = :peer.start_link(%{name: name, host: ~c"127.0.0.1", args: args})
    {:ok, _} = :erpc.call(node, __MODULE__, :start_group, [])
    node
  end

  # The process that started something over the network ends with the call; its links must not end
  # the member.
  def start_group, do: unlinked(fn -> :pg.start_link() end)

  def start_member(size) do
    unlinked(fn ->
      {:ok, pid} = DynamicSupervisor.start_link(strategy: :one_for_one, max_children: @max_children)
      :ok = :pg.join({:pool, size}, pid)
      {:ok, pid}
    end)
  end

  defp unlinked(start) do
    {:ok, pid} = start.()
    Process.unlink(pid)
    {:ok, pid}
  end

  defp wait_for(size) do
    if length(:pg.get_members({:pool, size})) < size do
      Process.sleep(20)
      wait_for(size)
    end
  end

  def call(size, function, args) do
    least =
      {:pool, size}
      |> :pg.get_members()
      |> Enum.map(fn pid -> {DynamicSupervisor.count_children(pid).active, pid} end)
      |> Enum.min_by(fn {active, _} -> active end)
      |> elem(1)

    caller = self()
    ref = make_ref()
    run = fn -> send(caller, {ref, apply(function, args)}) end
    spec = %{id: Task, start: {Task, :start_link, [run]}, restart: :temporary}

    case DynamicSupervisor.start_child(least, spec) do
      {:ok, pid} ->
        monitor = Process.monitor(pid)

        receive do
          {^ref, value} ->
            Process.demonitor(monitor, [:flush])
            {:ok, value}

          {:DOWN, ^monitor, _, _, reason} ->
            {:error, reason}
        end

      {:error, reason} ->
        {:error, reason}
    end
  end

  defp answer_lines do
    case IO.gets("") do
      :eof ->
        System.halt(0)

      line ->
        [size, callers, ms] = line |> String.split() |> Enum.map(&String.to_integer/1)
        IO.puts(measure(size, callers, ms))
        answer_lines()
    end
  end

  defp measure(size, callers, ms) do
    start = System.monotonic_time(:microsecond)
    until = start + ms * 1000

    results =
      1..callers
      |> Enum.map(fn _ -> Task.async(fn -> call_until(size, until, [], 0) end) end)
      |> Enum.map(&Task.await(&1, :infinity))

    seconds = (System.monotonic_time(:microsecond) - start) / 1_000_000
    times = results |> Enum.flat_map(&elem(&1, 0)) |> Enum.sort()
    failed = results |> Enum.map(&elem(&1, 1)) |> Enum.sum()
    count = length(times)
    at = fn part -> Enum.at(times, min(count - 1, trunc(count * part)), 0) / 1000 end

    ~s({"perSecond":#{count / seconds},"p50":#{at.(0.5)},"p99":#{at.(0.99)},"failed":#{failed}})
  end

  defp call_until(size, until, times, failed) do
    from = System.monotonic_time(:microsecond)

    if from >= until do
      {times, failed}
    else
      case call(size, fn x -> x end, [7]) do
        {:ok, 7} ->
          call_until(size, until, [System.monotonic_time(:microsecond) - from | times], failed)

        {:error, _} ->
          call_until(size, until, times, failed + 1)
      end
    end
  end
end

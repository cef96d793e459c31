# Three members, each on a client of its own, where bubblewrap, util-linux and dpool are installed.
# README.md beside this folder says why raw_exec, and what the clients' configuration needs.
job "dpool" {
  type = "service"

  constraint {
    operator = "distinct_hosts"
    value    = "true"
  }

  # One member after the other: the next one begins when the last one runs.
  update {
    max_parallel     = 1
    health_check     = "task_states"
    min_healthy_time = "10s"
  }

  migrate {
    max_parallel     = 1
    health_check     = "task_states"
    min_healthy_time = "10s"
  }

  group "member" {
    count = 3

    network {
      port "http" {
        static = 7400
      }
    }

    # There is no `service` block: a member registers itself with the client's Consul agent, and
    # with more facts than Nomad knows.
    task "member" {
      driver = "raw_exec"

      # TERM drains: drainMs (30 s), graceMs (5 s) and 5 s more. The client's max_kill_timeout has
      # to allow it.
      kill_signal  = "SIGTERM"
      kill_timeout = "50s"

      config {
        command = "/usr/local/bin/dpool"
        args = [
          "serve",
          "--config=${NOMAD_TASK_DIR}/dpool.yaml",
          "--token-file=${NOMAD_SECRETS_DIR}/tokens",
          "--port=${NOMAD_PORT_http}",
          "--advertise=${NOMAD_ADDR_http}",
          "--member=${node.unique.name}",
        ]
      }

      # A change of the file is a reload, not a restart.
      template {
        destination   = "local/dpool.yaml"
        change_mode   = "signal"
        change_signal = "SIGHUP"
        data          = <<-END
          host: 0.0.0.0
          insecure: true # members show one another the callers' tokens over http
          drainMs: 30000
          graceMs: 5000
          pools:
            pipeline: 5
        END
      }

      # `nomad var put nomad/jobs/dpool tokens=@tokens`. The member reads a changed file by itself.
      template {
        destination = "secrets/tokens"
        perms       = "600"
        change_mode = "noop"
        data        = "{{ with nomadVar \"nomad/jobs/dpool\" }}{{ .tokens }}{{ end }}"
      }

      # The member's own share, and that of 5 children of 1 GiB.
      resources {
        cpu    = 2000
        memory = 6144
      }
    }
  }
}

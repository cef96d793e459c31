# The page of each service links to the dashboard of the member m1.
ui_config {
  enabled = true
  dashboard_url_templates {
    service = "http://127.0.0.1:7400/"
  }
}

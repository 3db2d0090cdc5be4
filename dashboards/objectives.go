package dashboards

func objectives(b Business, l limits) draft { return draft{uid: ObjectivesUID} }
func pipeline(b Business, l limits) draft   { return draft{uid: PipelineUID} }
func ingestion(b Business, l limits) draft  { return draft{uid: IngestionUID} }

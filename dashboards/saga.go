package dashboards

import "github.com/weirstream/weir/streams"

func saga(b Business, s streams.Saga) draft { return draft{uid: SagaUID(s.Name)} }

package envoyproc

import (
	"cmp"
	"time"

	overloadv3 "github.com/envoyproxy/go-control-plane/envoy/config/overload/v3"
	connectionsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/downstream_connections/v3"
	heapv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/resource_monitors/fixed_heap/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	// maxConnections bounds the clients of one Envoy, unless [Config] does: the memory and
	// the file descriptors that connections take are then known.
	maxConnections = 50_000
	// heapMonitor tells how full the heap is, between 0 and 1.
	heapMonitor = "envoy.resource_monitors.fixed_heap"
	// trackedStream is the least that a stream must hold to be looked at when the largest
	// are to be reset, as a power of two: 64 KiB, what a window of HTTP/2 lets through.
	trackedStream = 16
	// idleWhenFull is how long an idle connection stays when memory is short.
	idleWhenFull = 5 * time.Second
)

// overloadManager is what an Envoy does before it runs out of connections or memory:
// it refuses some, where it would otherwise be killed and lose all.
func overloadManager(cfg *Config) (*overloadv3.OverloadManager, error) {
	m := &overloadv3.OverloadManager{}
	most := cmp.Or(uint64(cfg.MaxConnections), maxConnections)
	if err := monitored(m, "envoy.resource_monitors.global_downstream_max_connections", &connectionsv3.DownstreamConnectionsConfig{MaxActiveDownstreamConnections: int64(most)}); err != nil {
		return nil, err
	}
	if cfg.MaxHeap == 0 {
		return m, nil
	}
	// Often enough to be ahead of a burst of requests; Envoy looks once a second by itself.
	m.RefreshInterval = durationpb.New(250 * time.Millisecond)
	if err := monitored(m, heapMonitor, &heapv3.FixedHeapConfig{MaxHeapSizeBytes: cfg.MaxHeap}); err != nil {
		return nil, err
	}
	timeouts, err := anypb.New(&overloadv3.ScaleTimersOverloadActionConfig{TimerScaleFactors: []*overloadv3.ScaleTimersOverloadActionConfig_ScaleTimer{{
		Timer:          overloadv3.ScaleTimersOverloadActionConfig_HTTP_DOWNSTREAM_CONNECTION_IDLE,
		OverloadAdjust: &overloadv3.ScaleTimersOverloadActionConfig_ScaleTimer_MinTimeout{MinTimeout: durationpb.New(idleWhenFull)},
	}}})
	if err != nil {
		return nil, err
	}
	m.BufferFactoryConfig = &overloadv3.BufferFactoryConfig{MinimumAccountToTrackPowerOfTwo: trackedStream}
	m.Actions = []*overloadv3.OverloadAction{
		// Who asks for nothing goes first, the sooner the less is left.
		{Name: "envoy.overload_actions.reduce_timeouts", Triggers: scaled(0.80, 0.95), TypedConfig: timeouts},
		// What is free goes back to the system, whose limit it is that kills.
		{Name: "envoy.overload_actions.shrink_heap", Triggers: above(0.90)},
		// New requests get 503, so that those under way can end.
		{Name: "envoy.overload_actions.stop_accepting_requests", Triggers: above(0.95)},
		// Where that is not enough, the streams that hold most are reset.
		{Name: "envoy.overload_actions.reset_high_memory_stream", Triggers: scaled(0.95, 0.99)},
		// A client that is refused at once tries another Envoy; one that nobody accepts waits.
		{Name: "envoy.overload_actions.reject_incoming_connections", Triggers: above(0.98)},
	}
	return m, nil
}

func monitored(m *overloadv3.OverloadManager, name string, config proto.Message) error {
	packed, err := anypb.New(config)
	if err != nil {
		return err
	}
	m.ResourceMonitors = append(m.ResourceMonitors, &overloadv3.ResourceMonitor{
		Name: name, ConfigType: &overloadv3.ResourceMonitor_TypedConfig{TypedConfig: packed},
	})
	return nil
}

// above acts from so full a heap on.
func above(part float64) []*overloadv3.Trigger {
	return []*overloadv3.Trigger{{Name: heapMonitor, TriggerOneof: &overloadv3.Trigger_Threshold{Threshold: &overloadv3.ThresholdTrigger{Value: part}}}}
}

// scaled acts from one part of the heap on, and as much as it can from another.
func scaled(from, to float64) []*overloadv3.Trigger {
	return []*overloadv3.Trigger{{Name: heapMonitor, TriggerOneof: &overloadv3.Trigger_Scaled{
		Scaled: &overloadv3.ScaledTrigger{ScalingThreshold: from, SaturationThreshold: to},
	}}}
}

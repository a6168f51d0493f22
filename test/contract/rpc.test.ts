import { GrpcRpc } from '@rocketmq-connect/mesh/grpc';
import { SimulatedNetwork, SimulatedRpc } from '@rocketmq-connect/mesh/simulated';
import { VirtualClock } from '../support/virtual-clock.ts';
import { rpcContract } from './rpc.ts';

rpcContract('simulated', () => {
  const clock = new VirtualClock();
  const network = new SimulatedNetwork({ clock });
  return { rpc: (process) => new SimulatedRpc(network, process), pass: (ms) => clock.advance(ms) };
});

rpcContract('grpc', () => ({
  rpc: () => new GrpcRpc(),
  pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
}));

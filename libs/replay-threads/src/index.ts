export { replayThreads, type ReplayThreads } from './run-tasks';

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const TOOLS = execFileSync(join(ROOT, 'scripts/packaging-tools'), ['path'], { encoding: 'utf8' }).trim();
const CHART = join(ROOT, 'deploy/helm/rocketmq-connect');

/** For a `before` hook: skips the suite where the tools are not there. */
export function usePackagingTools(context: Mocha.Context): void {
  if (existsSync(join(TOOLS, 'complete'))) return;
  process.stdout.write('  skipped: run scripts/packaging-tools install\n');
  context.skip();
}

/** Exit code and output, both streams. */
export function runTool(
  name: 'hadolint' | 'docker-compose' | 'promtool',
  ...args: string[]
): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(join(TOOLS, 'bin', name), args, { cwd: ROOT, encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

/** A Kubernetes object, as far as it is looked into here. */
export interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly spec?: {
    readonly serviceName?: string;
    readonly selector?: Readonly<Record<string, unknown>> & { readonly matchLabels?: Readonly<Record<string, string>> };
    readonly podSelector?: { readonly matchLabels?: Readonly<Record<string, string>> };
    readonly ports?: readonly { readonly name?: string; readonly port: number; readonly targetPort?: number | string }[];
    readonly template?: { readonly metadata: { readonly labels: Readonly<Record<string, string>> }; readonly spec: PodSpec };
    readonly scaleTargetRef?: { readonly kind: string; readonly name: string };
    readonly groups?: unknown;
    readonly triggers?: readonly { readonly metadata: { readonly query: string } }[];
    readonly endpoints?: readonly { readonly port: string; readonly path: string }[];
  };
  readonly data?: Readonly<Record<string, string>>;
}

export interface PodSpec {
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly automountServiceAccountToken?: boolean;
  readonly containers: readonly Container[];
  readonly volumes?: readonly {
    readonly name: string;
    readonly configMap?: { readonly name: string };
    readonly secret?: { readonly secretName: string };
  }[];
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly workingDir?: string;
  readonly env?: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: object }[];
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
  readonly resources?: { readonly limits?: object; readonly requests?: object };
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly subPath?: string }[];
  readonly livenessProbe?: object;
  readonly readinessProbe?: object;
}

/** What Helm's linter finds, as strict as it can. */
export function lintChart(values: object): readonly { readonly severity: number; readonly path: string; readonly error: string }[] {
  return python<{ messages: { severity: number; path: string; error: string }[] }>('lint', CHART, values).messages;
}

/** The objects of the chart as release `connect` in namespace `data`. Throws what Helm says of the values. */
export function renderChart(values: object): readonly Manifest[] {
  const rendered = python<Record<string, string>>('render', CHART, values);
  if (rendered['error'] !== undefined) throw new Error(rendered['error']);
  return Object.entries(rendered).flatMap(([template, text]) => (template.endsWith('.yaml') ? manifests(text) : []));
}

export function manifests(yaml: string): Manifest[] {
  return parseAllDocuments(yaml).flatMap((document): Manifest[] => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    return document.contents === null ? [] : [document.toJS()];
  });
}

/** Why objects are none of a version of Kubernetes (`1.33`), and the kinds that are not Kubernetes' own. */
export function validateManifests(
  version: string,
  objects: readonly Manifest[],
): { readonly errors: string[]; readonly unknown: string[] } {
  return python('validate', version, objects);
}

/** `[builtin, arguments, named arguments]` */
export type TiltCall = readonly [string, readonly unknown[], Readonly<Record<string, unknown>>];

/** What the Tiltfile asks Tilt for, with the arguments after `tilt up --`. */
export function runTiltfile(settings: object): readonly TiltCall[] {
  return python('tilt', join(ROOT, 'Tiltfile'), settings);
}

function python<T>(command: string, subject: string, input: object): T {
  const script = join(ROOT, 'test/support/packaging_tools.py');
  const env = { ...process.env, PYTHONPATH: join(TOOLS, 'python') };
  const options = { encoding: 'utf8', env, input: JSON.stringify(input), maxBuffer: 1 << 26 } as const;
  return JSON.parse(execFileSync('python3', [script, command, subject], options));
}

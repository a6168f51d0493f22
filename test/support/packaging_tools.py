"""What packaging.real.ts asks of tools that have no command line: packaging_tools.py COMMAND SUBJECT, reads and writes JSON."""

import json
import sys


def lint(chart, values):
    import helm_python

    return helm_python.lint(chart, values, strict=True)


def render(chart, values):
    """The manifests by template, or {error}."""
    import helm_python

    try:
        with helm_python.Chart.load(chart) as loaded:
            loaded.validate_schema(values)
            return loaded.render(values, name="connect", namespace="data")
    except helm_python.HelmError as error:
        return {"error": str(error)}


def validate(version, manifests):
    """Why objects are none of this version of Kubernetes, a list; and the kinds that it does not know."""
    import kubernetes_validate

    errors, unknown = [], set()
    for each in manifests:
        try:
            kubernetes_validate.validate(each, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            errors.append(f"{each['kind']} {each['metadata']['name']}: {error}")
        except kubernetes_validate.SchemaNotFoundError:
            unknown.add(each["kind"])
    return {"errors": errors, "unknown": sorted(unknown)}


# Builtins with the arguments that Tilt's reference gives them, in their order.
TILT = {
    "docker_build": "ref context build_args dockerfile dockerfile_contents live_update match_in_env_vars ignore only entrypoint target ssh"
    " network secret extra_tag container_args cache_from pull platform",
    "fall_back_on": "files",
    "helm": "pathToChart name namespace values set kube_version skip_crds",
    "http_get_action": "port host scheme path",
    "k8s_resource": "workload new_name port_forwards extra_pod_selectors trigger_mode resource_deps objects auto_init pod_readiness links"
    " labels",
    "k8s_yaml": "yaml allow_duplicates",
    "link": "url name",
    "local_resource": "name cmd deps trigger_mode resource_deps ignore auto_init serve_cmd cmd_bat serve_cmd_bat allow_parallel links tags"
    " env serve_env readiness_probe dir serve_dir labels",
    "probe": "initial_delay_secs timeout_secs period_secs success_threshold failure_threshold exec http_get tcp_socket",
    "sync": "local_path remote_path",
    "tcp_socket_action": "port host",
    "version_settings": "check_updates constraint",
}


def tilt(tiltfile, arguments):
    """What a Tiltfile asks Tilt for: a list of [builtin, arguments, named arguments]."""
    import starlark

    calls = []
    module = starlark.Module()
    module.add_callable("_call", lambda name, positional, named: calls.append([name, positional, named]))
    module["_arguments"] = arguments
    dialect = starlark.Dialect.extended()
    builtins = """
def _builtin(name, parameters):
    def call(*positional, **named):
        if len(positional) + len(named) > len(parameters):
            fail('%s has only %s' % (name, parameters))
        for given in named:
            if given not in parameters[len(positional):]:
                fail('%s has no such argument: %s' % (name, given))
        _call(name, list(positional), named)
        return {'call': name, 'positional': list(positional), 'named': named}
    return call
config = struct(
    define_bool = lambda name, usage='': _call('config', [name, 'bool'], {}),
    define_string = lambda name, usage='': _call('config', [name, 'string'], {}),
    parse = lambda: _arguments,
)
"""
    for name, parameters in TILT.items():
        builtins += f"{name} = _builtin('{name}', {parameters.split()})\n"
    with open(tiltfile, encoding="utf-8") as file:
        source = builtins + file.read()
    globals_ = starlark.Globals.extended_by([starlark.LibraryExtension.StructType])
    starlark.eval(module, starlark.parse(tiltfile, source, dialect), globals_)
    return calls


print(json.dumps(globals()[sys.argv[1]](sys.argv[2], json.load(sys.stdin))))

"""The flows that come out wrong today, each with what is wrong; whoever mends one takes its line away."""

STILL_OPEN = {
    "classes/enum_of_a_mixin": "the bundle never loads: its members are made of their finished values",
    "classes/keys_of_own_classes": "the bundle never loads: an instance is made before its class is whole",
    "classes/own_reduce": "the bundle never loads: the class that __reduce__ needs is not whole yet",
    "functions/doctests": "functions of the file that no task names are not there",
    "functions/environment_when_loaded": "the environment is not as the flow's file left it",
    "functions/limits_when_loaded": "limits and sys.path are not as the flow's file left them",
    "functions/names_looked_up": "the file's module has only the names that the code shows",
    "functions/source_of_a_function": "the flow's source is not there",
    "modules/constant_changed_when_loaded": "what the flow's file did to a module is not done there",
    "modules/container_in_a_class": "a dictionary that is imported by name is a copy where a class has it",
    "modules/file_beside_the_flow": "the file stays here, and nothing tells so when the flow is built",
    "modules/patched_when_loaded": "what the flow's file did to a library is not done there",
    "modules/registered_by_decorator": "what the flow's file registered in a module is not registered there",
    "modules/registered_in_a_library": "what the flow's file registered in a library is not registered there",
    "processes/logging_and_warnings": "levels that the flow's file set on loggers are not set there",
    "modules/registry_in_a_helper": "the helper's hook sees a class that is not whole yet",
    "values/numpy_view": "a view becomes a copy of its own",
    "values/one_nan": "a NaN is another one in every place",
    "values/results_are_handed_on": "what is stored is the result before a later task changed it, here it is after",
}

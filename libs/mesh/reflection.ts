import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionDefinition as V1,
} from '@rocketmq-connect/proto/grpc/reflection/v1/reflection';
import { ServerReflectionDefinition as V1Alpha } from '@rocketmq-connect/proto/grpc/reflection/v1alpha/reflection';
import { type Implementation, implement } from './index.ts';

/** Server reflection (v1 and v1alpha, the same messages) for tools like grpcurl. Descriptors are loaded at the first question. */
export function createReflection(served: readonly string[]): readonly Implementation[] {
  const services = [...served, V1.fullName, V1Alpha.fullName];
  const serverReflectionInfo = async function* (requests: AsyncIterable<ServerReflectionRequest>): AsyncIterable<ServerReflectionResponse> {
    for await (const request of requests) {
      yield { validHost: request.host, originalRequest: request, messageResponse: await answer(request.messageRequest, services) };
    }
  };
  return [implement(V1, { serverReflectionInfo }), implement(V1Alpha, { serverReflectionInfo })];
}

type Question = ServerReflectionRequest['messageRequest'];
type Answer = NonNullable<ServerReflectionResponse['messageResponse']>;

async function answer(question: Question, services: readonly string[]): Promise<Answer> {
  if (question?.$case === 'listServices') {
    return { $case: 'listServicesResponse', value: { service: services.map((name) => ({ name })) } };
  }
  const { fileOf, fileWithSymbol, fileWithExtension, extensionsOf } = await import('./descriptor-files.ts');
  switch (question?.$case) {
    case 'fileByFilename':
      return files(fileOf(question.value), question.value);
    case 'fileContainingSymbol':
      return files(fileWithSymbol(question.value), question.value);
    case 'fileContainingExtension': {
      const { containingType, extensionNumber } = question.value;
      return files(fileWithExtension(containingType, extensionNumber), `${containingType}[${extensionNumber}]`);
    }
    case 'allExtensionNumbersOfType':
      return {
        $case: 'allExtensionNumbersResponse',
        value: { baseTypeName: question.value, extensionNumber: [...extensionsOf(question.value)] },
      };
    default:
      return { $case: 'errorResponse', value: { errorCode: 3, errorMessage: 'the request asks nothing' } };
  }
}

function files(found: readonly Uint8Array[], asked: string): Answer {
  if (found.length === 0) return { $case: 'errorResponse', value: { errorCode: 5, errorMessage: `${asked} is not known here` } };
  return { $case: 'fileDescriptorResponse', value: { fileDescriptorProto: found.map((bytes) => Buffer.from(bytes)) } };
}

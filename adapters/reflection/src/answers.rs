//! From a question to its answer.

use antiphon_service::{Bytes, Code};

use crate::index::{Index, Missing};
use crate::v1::server_reflection_request::MessageRequest as Question;
use crate::v1::server_reflection_response::MessageResponse as Answer;
use crate::v1::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse,
    ServerReflectionRequest, ServerReflectionResponse, ServiceResponse,
};

/// One call.
pub(crate) struct Session<'a> {
    index: &'a Index,
    /// The files that the client has already, by their places.
    sent: Vec<bool>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(index: &'a Index) -> Self {
        Self { index, sent: vec![false; index.len()] }
    }

    /// reflection.proto: an error is an answer, and the call goes on.
    pub(crate) fn answer(&mut self, request: ServerReflectionRequest) -> ServerReflectionResponse {
        let answer = match &request.message_request {
            Some(question) => self.ask(question),
            None => error(
                Code::InvalidArgument,
                "the request asks for nothing, or for something that this server does not know".to_owned(),
            ),
        };
        ServerReflectionResponse {
            valid_host: request.host.clone(),
            original_request: Some(request),
            message_response: Some(answer),
        }
    }

    fn ask(&mut self, question: &Question) -> Answer {
        let index = self.index;
        match question {
            Question::FileByFilename(name) => self.files(index.by_name(name), || format!("no file {name:?}")),
            Question::FileContainingSymbol(symbol) => {
                self.files(index.by_symbol(symbol), || format!("no schema that declares {symbol:?}"))
            }
            Question::FileContainingExtension(asked) => {
                let (message, number) = (&asked.containing_type, asked.extension_number);
                let found = index.by_extension(message, number);
                self.files(found, || format!("no extension {number} of {message:?}"))
            }
            Question::AllExtensionNumbersOfType(message) => match index.extension_numbers(message) {
                Ok(extension_number) => Answer::AllExtensionNumbersResponse(ExtensionNumberResponse {
                    base_type_name: message.clone(),
                    extension_number,
                }),
                Err(missing) => refuse(missing, || format!("no message {message:?}")),
            },
            Question::ListServices(_) => {
                let service = index.services.iter().map(|name| ServiceResponse { name: name.clone() });
                Answer::ListServicesResponse(ListServiceResponse { service: service.collect() })
            }
        }
    }

    fn files(&mut self, found: Result<usize, Missing>, what: impl FnOnce() -> String) -> Answer {
        match found {
            Ok(at) => Answer::FileDescriptorResponse(FileDescriptorResponse {
                file_descriptor_proto: self.with_imports(at),
            }),
            Err(missing) => refuse(missing, what),
        }
    }

    /// A file, and behind it all that it imports, directly or not, as far as it was not sent before. The file itself is
    /// what was asked for, and is sent in any case. An import that no schema has is left for the client to miss.
    fn with_imports(&mut self, first: usize) -> Vec<Bytes> {
        let mut places = vec![first];
        if let Some(sent) = self.sent.get_mut(first) {
            *sent = true;
        }
        let mut files = Vec::new();
        while let Some(file) = places.get(files.len()).and_then(|at| self.index.get(*at)) {
            files.push(file.bytes.clone());
            for at in file.imports.iter().filter_map(|name| self.index.named(name)) {
                if let Some(sent @ false) = self.sent.get_mut(at) {
                    *sent = true;
                    places.push(at);
                }
            }
        }
        files
    }
}

fn refuse(missing: Missing, what: impl FnOnce() -> String) -> Answer {
    match missing {
        Missing::Unknown => error(Code::NotFound, format!("this server has {}", what())),
        Missing::Fault(fault) => error(Code::Internal, fault),
    }
}

fn error(code: Code, error_message: String) -> Answer {
    Answer::ErrorResponse(ErrorResponse { error_code: code as i32, error_message })
}
